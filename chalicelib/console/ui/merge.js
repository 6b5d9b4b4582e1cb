// Three-way merge of the fields of a record: what it was, what it is now, and what this person wants. No DOM.

/** @typedef {Record<string, unknown>} Fields */
/** A field that two people changed to different values.
 * @typedef {{name: string, was: unknown, theirs: unknown, yours: unknown}} Clash */
/** @typedef {{clashes: Clash[], onlyYours: string[], onlyTheirs: string[]}} Merge */

/** Compare the fields that *yours* names. A field that both changed to the same value is no clash.
 * @param {Fields} was
 * @param {Fields} theirs
 * @param {Fields} yours
 * @returns {Merge} */
export function compare(was, theirs, yours) {
  /** @type {Merge} */
  const found = { clashes: [], onlyYours: [], onlyTheirs: [] };
  for (const name of Object.keys(yours)) {
    const [changedThere, changedHere] = [was[name] !== theirs[name], was[name] !== yours[name]];
    if (changedThere && changedHere && theirs[name] !== yours[name]) {
      found.clashes.push({ name, was: was[name], theirs: theirs[name], yours: yours[name] });
    } else if (changedHere && !changedThere) found.onlyYours.push(name);
    else if (changedThere && !changedHere) found.onlyTheirs.push(name);
  }
  return found;
}

/** The fields to send: what differs from *theirs* after the merge. A clash goes by its choice.
 * @param {Fields} theirs
 * @param {Fields} yours
 * @param {Merge} merge
 * @param {Record<string, "theirs" | "yours">} choices
 * @returns {Fields} */
export function merged(theirs, yours, merge, choices) {
  const kept = [
    ...merge.onlyYours,
    ...merge.clashes.map(({ name }) => name).filter((name) => choices[name] === "yours"),
  ];
  return Object.fromEntries(
    kept.filter((name) => yours[name] !== theirs[name]).map((name) => [name, yours[name]]),
  );
}

/** Whether every clash has its choice.
 * @param {Merge} merge
 * @param {Record<string, "theirs" | "yours">} choices */
export function decided(merge, choices) {
  return merge.clashes.every(({ name }) => choices[name] !== undefined);
}

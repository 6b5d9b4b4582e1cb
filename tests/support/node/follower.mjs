// A client of a stream of events, by the package eventsource: node follower.mjs URL, with the token in TOKEN.
//
// Prints the data of each message as a line. Ends when the stream ends, or when its standard input does.

import process from "node:process";
import { EventSource } from "eventsource";

const Authorization = `Bearer ${process.env.TOKEN}`;
const source = new EventSource(process.argv[2], {
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization } }),
});
source.onmessage = ({ data }) => process.stdout.write(`${data}\n`);
// After a lost connection the package connects again; after any other status than 200 it is closed.
source.onerror = ({ code }) => {
  if (source.readyState === EventSource.CLOSED) {
    process.exit(code === 204 ? 0 : 1);
  }
};
process.stdin.resume().on("end", () => process.exit());

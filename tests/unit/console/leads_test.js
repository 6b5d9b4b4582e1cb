import { leadsOf } from "../../../chalicelib/console/ui/leads.js";

/** @param {unknown} actual
 * @param {unknown} expected */
function same(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}

const ANN = { email: "ann@example.org", name: "Ann" };

Deno.test("a heading names the columns in any order", () => {
  same(leadsOf("Name,Company,Email\r\nAnn,x,ann@example.org\r\n"), { leads: [ANN], twice: 0 });
});

Deno.test("without a heading the first two columns count", () => {
  same(leadsOf("ann@example.org;Ann\n"), { leads: [ANN], twice: 0 });
});

Deno.test("addresses alone are leads without names", () => {
  same(leadsOf("a@example.org\n\nb@example.org").leads.map(({ email }) => email), [
    "a@example.org",
    "b@example.org",
  ]);
});

Deno.test("a quoted cell may hold commas, quotes and lines", () => {
  same(leadsOf('email,name\nann@example.org,"Ann ""A"",\nB"'), {
    leads: [{ email: "ann@example.org", name: 'Ann "A",\nB' }],
    twice: 0,
  });
});

Deno.test("an address that comes twice is one lead", () => {
  same(leadsOf("ann@example.org,Ann\nANN@example.org,Other"), { leads: [ANN], twice: 1 });
});

Deno.test("an empty text has no leads", () => {
  same(leadsOf("\n \n"), { leads: [], twice: 0 });
});

// A receiver of webhooks: verifies each POST by the packages standardwebhooks and svix.
//
// Prints one JSON line for its port, then one for each POST. `PUT /` sets the secret, the body of the request. Answers a
// POST with 204 if both packages accept the message, else with 400. Ends when its standard input ends.

import { createServer } from "node:http";
import process from "node:process";
import { buffer } from "node:stream/consumers";
import * as standardwebhooks from "standardwebhooks";
import svix from "svix";

const PACKAGES = { standardwebhooks, svix };
let secret = "";

/** The reason of each package for a refusal, or null. */
function verify(body, headers) {
  return Object.fromEntries(
    Object.entries(PACKAGES).map(([name, { Webhook }]) => {
      try {
        new Webhook(secret).verify(body, headers);
        return [name, null];
      } catch (error) {
        return [name, String(error.message ?? error)];
      }
    }),
  );
}

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const server = createServer(async (request, response) => {
  const body = await buffer(request);
  if (request.method === "PUT") {
    secret = body.toString();
    response.writeHead(204).end();
    return;
  }
  const refusals = verify(body, request.headers);
  const status = Object.values(refusals).every((reason) => reason === null) ? 204 : 400;
  const { url: path, headers } = request;
  print({ path, headers, body: body.toString("base64"), refusals, status });
  response.writeHead(status).end();
});

server.listen(0, "127.0.0.1", () => print({ port: server.address().port }));
process.stdin.resume().on("end", () => process.exit());

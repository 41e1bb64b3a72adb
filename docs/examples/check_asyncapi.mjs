// Checks an AsyncAPI document with AsyncAPI's own parser: its structure, its references, its bindings.
//
//   node check_asyncapi.mjs ../asyncapi.yaml
//
// Prints each fault, and ends with 1 if there is one.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Parser, fromFile } from "@asyncapi/parser";

const file = resolve(process.argv[2] ?? fileURLToPath(new URL("../asyncapi.yaml", import.meta.url)));
const { document, diagnostics } = await fromFile(new Parser(), file).parse();
const faults = diagnostics.filter(({ severity }) => severity <= 1); // errors and warnings
for (const { message, code, path, range } of faults) {
  console.error(`${file}:${range.start.line + 1}: ${message} (${code} at ${path.join(".")})`);
}
if (!document || faults.length > 0) process.exit(1);
console.log(`${file}: AsyncAPI ${document.version()}, ${document.operations().length} operations`);

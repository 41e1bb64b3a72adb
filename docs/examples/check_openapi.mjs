// Checks an OpenAPI document with Redocly's linter: structure, references, operation IDs, tags, examples against their schemas.
//
//   node check_openapi.mjs ../openapi.json
//
// Prints each fault, and ends with 1 if there is one.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createConfig, lint } from "@redocly/openapi-core";

const file = resolve(process.argv[2] ?? fileURLToPath(new URL("../openapi.json", import.meta.url)));
const config = await createConfig({
  extends: ["recommended-strict"],
  rules: {
    "no-invalid-media-type-examples": "error",
    "no-invalid-schema-examples": "error",
    "operation-description": "off", // the summary often says it all
    "operation-operationId-url-safe": "error",
    "operation-singular-tag": "error",
    "operation-tag-defined": "error",
    "parameter-description": "error",
    "path-segment-plural": "off",
    "paths-kebab-case": "error",
    "tag-description": "error",
    "no-unused-components": "error",
  },
});
const faults = await lint({ ref: file, config });
for (const { message, ruleId, location } of faults) {
  console.error(`${file}: ${message} (${ruleId} at ${location?.[0]?.pointer})`);
}
if (faults.length > 0) process.exit(1);
console.log(`${file}: no fault`);

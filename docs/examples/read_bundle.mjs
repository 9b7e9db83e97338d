// Reads a bundle with onnxruntime-node alone: proves it, then prints what it gives for its golden rows.
//
// npm ci && node read_bundle.mjs [BUNDLE]     the released sepsis model where no bundle is named
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InferenceSession, Tensor } from "onnxruntime-node";

const RELEASED = fileURLToPath(new URL("../../models/sepsis/bundle", import.meta.url));
const FORMAT = 1;
const TOLERANCE = 1e-4; // of golden outputs and of additivity; docs/bundle.md says why
const LARGEST = 3; // contributions that are printed

class Refused extends Error {} // the bundle is not what it says

/** One line for each golden row of a bundle that was proved. */
async function main(path) {
  const manifest = JSON.parse(readFileSync(join(path, "manifest.json"), "utf8"));
  checkFiles(path, manifest);
  const golden = JSON.parse(readFileSync(join(path, "golden.json"), "utf8"));
  const found = await run(join(path, "model.onnx"), golden.rows);
  checkGolden(golden, found);
  const width = manifest.features.length;
  return golden.rows.map((_, at) => {
    const contributions = found.contributions.slice(at * width, (at + 1) * width);
    checkAdditivity(found.base_value[0], contributions, found.logit[at]);
    const largest = [...contributions.keys()].sort((a, b) => Math.abs(contributions[b]) - Math.abs(contributions[a]));
    const reasons = largest.slice(0, LARGEST).map((i) => `${manifest.features[i]} ${signed(contributions[i])}`);
    return `probability ${found.probability[at].toFixed(6)}: ${reasons.join(", ")}`;
  });
}

/** Format and hashes. */
function checkFiles(path, manifest) {
  if (manifest.format !== FORMAT) throw new Refused(`expected format ${FORMAT}, got ${manifest.format}`);
  for (const [name, expected] of Object.entries(manifest.files)) {
    const found = createHash("sha256").update(readFileSync(join(path, name))).digest("hex");
    if (found !== expected) throw new Refused(`${name} is not the file that the manifest lists`);
  }
}

/** The graph's outputs by name, each a Float32Array, for rows without infinities. */
async function run(model, rows) {
  const values = Float32Array.from(rows.flat(), (value) => value ?? NaN); // null becomes NaN: a missing value
  if (values.some((value) => Math.abs(value) === Infinity)) throw new Refused("expected finite values or NaN");
  const session = await InferenceSession.create(model, { executionProviders: ["cpu"] });
  const outputs = await session.run({ features: new Tensor("float32", values, [rows.length, rows[0].length]) });
  return Object.fromEntries(Object.entries(outputs).map(([name, tensor]) => [name, tensor.data]));
}

/** The graph gives on this machine what it gave where it was made. */
function checkGolden(golden, found) {
  for (const name of ["logit", "probability", "contributions", "base_value"]) {
    const expected = [golden[name]].flat(2);
    const agree = (value, i) => Math.abs(found[name][i] - value) <= TOLERANCE * (1 + Math.abs(value));
    if (found[name].length !== expected.length || !expected.every(agree)) {
      throw new Refused(`${name} differs from the golden rows`);
    }
  }
}

/** base_value + Σ contributions = logit: what is explained is what was scored. */
function checkAdditivity(baseValue, contributions, logit) {
  const error = Math.abs(contributions.reduce((sum, value) => sum + value, baseValue) - logit);
  if (!(error <= TOLERANCE * Math.max(1, Math.abs(logit)))) {
    throw new Refused("the contributions do not add up to the logit");
  }
}

function signed(value) {
  return (value < 0 ? "" : "+") + value.toFixed(3);
}

const bundle = process.argv[2] ?? RELEASED;
try {
  console.log((await main(bundle)).join("\n"));
} catch (reason) {
  if (!(reason instanceof Refused)) throw reason;
  console.error(`${basename(bundle)}: ${reason.message}`);
  process.exitCode = 1;
}

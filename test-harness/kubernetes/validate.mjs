// Checks Kubernetes resources, given as JSON on standard input, against the published schemas: their values
// (patterns, required members) by the validators of kubernetes-models, and that no member is unknown by the
// TypeScript types, which are exact. Prints a line for each mistake; ends with 1 if there is any.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const FOLDER = process.argv[2];
const PACKAGES = {
  "gateway.envoyproxy.io": "@kubernetes-models/envoy-gateway",
  "gateway.networking.k8s.io": "@kubernetes-models/gateway-api",
  "networking.istio.io": "@kubernetes-models/istio",
  "networking.k8s.io": "kubernetes-models",
  apps: "kubernetes-models",
  "": "kubernetes-models",
};

const mistakes = [];
const lines = [];
const resources = JSON.parse(readFileSync(0, "utf8"));

for (const [index, { file, document }] of resources.entries()) {
  const { apiVersion, kind } = document;
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  let from;
  if (group.endsWith(".higress.io")) {
    from = "./higress.js";
  } else {
    from = [PACKAGES[group] ?? "?", group, version, kind].filter(Boolean).join("/");
    const path = join(FOLDER, "node_modules", `${from}.js`);
    if (!existsSync(path)) {
      mistakes.push(`${file}: there is no ${kind} in ${apiVersion}`);
      continue;
    }
    const Kind = (await import(pathToFileURL(path)))[kind];
    try {
      new Kind(document).validate();
    } catch (error) {
      mistakes.push(`${file}: ${kind} ${document.metadata.name}: ${error.message}`);
    }
  }
  lines.push(`import type { I${kind} as T${index} } from "${from}";`);
  lines.push(`export const r${index}: T${index} = ${JSON.stringify(document)}; // ${file}: ${kind}`);
}

mkdirSync(FOLDER, { recursive: true });
writeFileSync(join(FOLDER, "higress.ts"), readFileSync(join(HERE, "higress.ts")));
writeFileSync(join(FOLDER, "resources.ts"), lines.join("\n"));
const tsc = join(FOLDER, "node_modules", "typescript", "bin", "tsc");
const options = ["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022"];
const typed = spawnSync(process.execPath, [tsc, ...options, "resources.ts"], { cwd: FOLDER, encoding: "utf8" });
if (typed.status !== 0) {
  for (const line of (typed.stdout + typed.stderr).split("\n").filter(Boolean)) {
    const at = line.match(/^resources\.ts\((\d+),/);
    const where = at ? lines[at[1] - 1].slice(lines[at[1] - 1].lastIndexOf("// ") + 3) : "";
    mistakes.push(`${where}: ${line.replace(/^resources\.ts\(\d+,\d+\): /, "")}`);
  }
}
mistakes.forEach((mistake) => console.log(mistake));
process.exit(mistakes.length ? 1 : 0);

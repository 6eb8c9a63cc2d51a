// Runs `speed`, built for wasm32-wasip1, in Node.js' V8: `node --no-warnings speed.mjs speed.wasm < rows`.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const wasi = new WASI({ version: "preview1", args: ["speed"] });
const module = await WebAssembly.compile(await readFile(process.argv[2]));
// The calls of a proxy, of which nothing here makes one.
const proxy = WebAssembly.Module.imports(module).filter((each) => each.module === "env");
const env = Object.fromEntries(proxy.map((each) => [each.name, () => 0]));
wasi.start(await WebAssembly.instantiate(module, { ...wasi.getImportObject(), env }));

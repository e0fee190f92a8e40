/**
 * Make what is served out of the sources: `node build.js FILE`.
 */

import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";

/** @type {import("esbuild").BuildOptions} */
const OPTIONS = { bundle: true, charset: "utf8", target: "es2022", write: false };

/** @param {string} name @param {import("esbuild").BuildOptions} options */
function bundle(name, options) {
  const source = new URL(`../../openclaw_middleware/client_source/${name}.js`, import.meta.url);
  const entry = { ...OPTIONS, ...options, entryPoints: [fileURLToPath(source)] };
  return /** @type {any} */ (buildSync(entry)).outputFiles[0].text;
}

export const served = () => bundle("index", { format: "esm", minify: true });

/** The keeper alone, as a script that leaves `SessionKeeper` in `made`. */
export const keeper = () =>
  bundle("keeper", {
    format: "iife",
    globalName: "made",
    define: { "import.meta.url": '"https://page.example/_session/client.js"' },
  });

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(process.argv[2], served());

/** The texts: complete in every language, chosen by the page's, and paced for the ear. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { NAMES, TEXTS, choose, paced, text } from "../../openclaw_middleware/client_source/texts.js";

for (const language of ["en", "de", "fr", "es", "zh", "ar"]) {
  test(`nothing is missing in ${language}`, () => {
    const lines = TEXTS[language].split("\n");
    assert.equal(lines.length, NAMES.length);
    assert.equal(new Set(lines).size, NAMES.length - (language == "fr" ? 0 : 0));
    for (const line of lines) assert.equal(line, line.trim());
    assert.ok(lines.every((line) => line.length > 1));
  });
}

test("texts are found by name, and unknown ones are empty", () => {
  assert.equal(text("stay", "de"), "Angemeldet bleiben");
  assert.equal(text("theft", "en"), "");
});

test("the first language there are texts in is taken", () => {
  assert.equal(choose("", "fr-CA", "de"), "fr");
  assert.equal(choose("", "it", "de"), "de");
  assert.equal(choose("EN"), "en");
  assert.equal(choose("", "it", "nl"), "en");
});

test("a tag that is none, as frameworks write locales, breaks nothing", () => {
  for (const tag of ["de_DE", "de-", "de-DE_POSIX"]) {
    assert.equal(choose(tag), "de");
    assert.equal(paced(30, choose(tag)), "40 Sekunden");
  }
});

test("what is said of the time changes rarely", () => {
  const said = [];
  for (let seconds = 120; seconds >= 0; seconds--) {
    const now = paced(seconds, "en");
    if (now != said.at(-1)) said.push(now);
  }
  assert.deepEqual(said, ["2 minutes", "60 seconds", "40 seconds", "20 seconds", "0 seconds"]);
  assert.equal(paced(61, "ar"), "دقيقتان");
});

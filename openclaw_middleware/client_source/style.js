/** How the dialog looks. System colours: right in the dark, and with forced colours. No motion. */

export const STYLE = `:host{color-scheme:light dark}
dialog{max-width:30em;padding:1.5em;border-radius:.5em;background:var(--session-background,Canvas);color:var(--session-color,CanvasText);font:var(--session-font,1rem/1.5 system-ui)}
::backdrop{background:var(--session-backdrop,#0008)}
.cover::backdrop{background:var(--session-cover,Canvas)}
h2{margin:0;outline:0}
a:empty,button:empty{display:none}
#countdown{font-size:2em}
#spoken{position:fixed;clip-path:inset(50%)}
button,a{display:inline-block;padding:.6em 1em;margin-top:.5em;margin-inline-end:.5em;outline-offset:2px;border:1px solid;border-radius:.5em;background:none;color:inherit;font:inherit}
#stay,#stale{background:var(--session-accent,#1d4ed8);color:var(--session-accent-color,#fff)}`;

// Datasette's SQL editor replaces our text area with one that has no accessible name; this gives it one.
window.addEventListener("load", () => {
    document.querySelectorAll(".CodeMirror textarea").forEach((area) => area.setAttribute("aria-label", "SQL"));
});

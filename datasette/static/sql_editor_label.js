// The SQL editor that Datasette puts over our text area types into a text area of its own, which has no name.
window.addEventListener("load", () => {
    document.querySelectorAll(".CodeMirror textarea").forEach((area) => area.setAttribute("aria-label", "SQL"));
});

// The desk: while a decision is being saved, keys and buttons do nothing; and keyboard shortcuts, each of which does what a
// control on the page does. Whether they are on is kept in this browser.
(() => {
    const form = document.getElementById("decision");
    const keys = document.getElementById("keys");
    const undo = document.getElementById("undo");
    const lists = [...document.querySelectorAll(".standard-reasons")];
    const storageKey = "desk-keyboard-shortcuts";

    // The page still shows the decision before the one being saved: "Undo" would undo that one.
    const status = document.getElementById("saving");
    let saving = false;
    let patience;
    const setSaving = (on, text) => {
        saving = on;
        clearTimeout(patience);
        for (const part of document.querySelectorAll("main > :not(#saving)")) part.inert = on;
        if (status) status.textContent = on ? text : "";
        if (on) patience = setTimeout(() => {
            status.textContent = "Still saving. If this goes on, reload the page: it shows whether the decision was saved.";
        }, 10000);
    };
    if (status) {
        document.addEventListener("submit", (event) => {
            if (event.target.method !== "post") return;
            if (saving) event.preventDefault();
            else setSaving(true, event.target.dataset.status ?? "Saving…");
        });
        // Back from an error page: the browser may show this page as it was left.
        window.addEventListener("pageshow", (event) => { if (event.persisted) setSaving(false); });
    }

    let keysAreOn = true;
    try { keysAreOn = localStorage.getItem(storageKey) !== "off"; } catch { /* storage may be forbidden; then the choice is not kept */ }
    if (keys) {
        keys.checked = keysAreOn;
        keys.addEventListener("change", () => {
            keysAreOn = keys.checked;
            try { localStorage.setItem(storageKey, keys.checked ? "on" : "off"); } catch { /* see above */ }
            document.body.classList.toggle("no-keys", !keys.checked);
        });
        document.body.classList.toggle("no-keys", !keys.checked);
    }

    const chosenVerdict = () => form?.querySelector("input[name=verdict]:checked")?.value ?? "";
    const showReasons = () => lists.forEach((list) => { list.hidden = list.dataset.verdict !== chosenVerdict(); });

    if (form) {
        form.addEventListener("change", showReasons);
        form.addEventListener("click", (event) => {
            const button = event.target.closest("[data-reason]");
            if (!button) return;
            form.elements.reason.value = button.dataset.reason;
            form.querySelector(".send button").focus();
        });
        showReasons();
    }

    const isTextField = (element) => element.matches("input[type=text], input[type=search], textarea, select") || element.isContentEditable;

    document.addEventListener("keydown", (event) => {
        if (saving || event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTextField(event.target)) return;
        if (!keysAreOn) return;
        const key = event.key.toLowerCase();
        const radio = form?.querySelector(`input[data-key="${CSS.escape(key)}"]`);
        const reason = /^[1-9]$/.test(key) ? lists.find((list) => !list.hidden)?.querySelectorAll("button")[Number(key) - 1] : null;
        if (radio) {
            radio.checked = true;
            radio.focus();
            showReasons();
        } else if (reason) {
            reason.click();
        } else if (key === "r" && form) {
            form.elements.reason.focus();
        } else if (key === "t" && form) {
            const tags = document.querySelector(".tags-form");
            tags.open = !tags.open;
            document.getElementById("tags-summary").focus();
        } else if (key === "s") {
            document.getElementById("skip")?.click();
        } else if (key === "o") {
            document.getElementById("open-doi")?.click();
        } else if (key === "z" && undo?.querySelector("kbd")) {
            undo.click();
        } else {
            return;
        }
        event.preventDefault();
    });
})();

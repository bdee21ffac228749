// The page of a work: open the reasons behind all tags at once, print them opened, copy the citation. All of it reads without this.
(() => {
    const reasons = [...document.querySelectorAll("details.why")];
    const control = document.querySelector(".all-reasons");
    control?.addEventListener("click", (event) => {
        event.preventDefault();
        const open = !reasons.every((one) => one.open);
        reasons.forEach((one) => { one.open = open; });
        if (open === control.textContent.startsWith("Show")) {
            [control.textContent, control.dataset.other] = [control.dataset.other, control.textContent];
        }
    });

    let closed = [];
    addEventListener("beforeprint", () => {
        closed = [...document.querySelectorAll("details:not([open])")];
        closed.forEach((one) => { one.open = true; });
    });
    addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));

    const citation = document.querySelector(".to-copy");
    if (citation && navigator.clipboard) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "quiet";
        button.textContent = "Copy";
        button.addEventListener("click", async () => {
            await navigator.clipboard.writeText(citation.textContent.trim());
            button.textContent = "Copied";
        });
        citation.after(button);
    }
})();

// The evidence map without reloads. Every link and the form lead to pages that work by themselves; here the same addresses are
// fetched, and the part that changed takes the place of the old one. Arrow keys move between cells.
(() => {
    const view = () => document.getElementById("map-view");
    const page = view() ? new URL(document.getElementById("map-form").action, location.href).pathname : null;
    let asked = 0;

    const fetched = async (address) => {
        const answer = await fetch(address, { headers: { accept: "text/html" } });
        if (!answer.ok) throw new Error(answer.status);
        return new DOMParser().parseFromString(await answer.text(), "text/html");
    };

    // Whoever clicks twice gets the second answer, and where fetching fails the page is loaded as without this file.
    const load = async (address, part, then) => {
        const mine = ++asked;
        view().setAttribute("aria-busy", "true");
        try {
            const found = await fetched(part === "panel" ? view().dataset.panel + new URL(address, location.href).search : address);
            if (mine !== asked) return;
            then(found);
        } catch {
            location.assign(address);
        } finally {
            if (mine === asked) view().removeAttribute("aria-busy");
        }
    };

    const showMap = (found) => {
        const focused = document.activeElement?.id;
        const scrolled = document.getElementById("map-scroll");
        const place = scrolled ? [scrolled.scrollLeft, scrolled.scrollTop] : null;
        const open = [...view().querySelectorAll("details[id]")].map((one) => [one.id, one.open]);
        view().replaceWith(found.getElementById("map-view"));
        document.title = found.title;
        for (const [id, was] of open) {
            const one = document.getElementById(id);
            if (one) one.open = was;
        }
        const scroll = document.getElementById("map-scroll");
        if (scroll && place) [scroll.scrollLeft, scroll.scrollTop] = place;
        if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
        document.getElementById("map-status").textContent = document.getElementById("map-about")?.textContent ?? "";
        oneTabStop();
    };

    const goTo = (address, push = true) => load(address, "page", (found) => {
        showMap(found);
        if (push) history.pushState(null, "", view().dataset.address);
    });

    const cellsOpen = (href) => {
        for (const link of view().querySelectorAll(".map td a, .map-list li a")) {
            link.toggleAttribute("aria-current", false);
            if (link.getAttribute("href") === href) link.setAttribute("aria-current", "true");
        }
        for (const [name, value] of ["row", "column"].map((name) => [name, new URL(href, location.href).searchParams.get(name)])) {
            let field = document.getElementById("map-form").elements[name];
            if (!field && value) {
                field = Object.assign(document.createElement("input"), { type: "hidden", name });
                document.getElementById("map-form").append(field);
            }
            if (field) field.value = value ?? "";
        }
    };

    let opener = null;
    const openCell = (link) => load(link.href, "panel", (found) => {
        opener = link;
        history.pushState(null, "", link.href);
        document.getElementById("map-panel").replaceWith(found.getElementById("map-panel"));
        cellsOpen(link.getAttribute("href"));
        document.getElementById("map-panel").focus({ preventScroll: true });
    });

    const closePanel = () => {
        const close = document.getElementById("panel-close");
        if (!close) return;
        history.pushState(null, "", close.href);
        const panel = document.getElementById("map-panel");
        panel.replaceChildren();
        panel.hidden = true;
        const link = opener?.isConnected ? opener : view().querySelector("a[aria-current]");
        cellsOpen(close.getAttribute("href"));
        (link ?? document.getElementById("map-scroll"))?.focus();
    };

    // One tab stop for all cells; the arrows move among them.
    const rows = () => [...document.querySelectorAll(".map tbody tr")].map((row) => [...row.querySelectorAll("td")].map((cell) => cell.querySelector("a")));
    const oneTabStop = () => {
        const links = rows().flat().filter(Boolean);
        const chosen = links.find((link) => link.hasAttribute("aria-current")) ?? links[0];
        for (const link of links) link.tabIndex = link === chosen ? 0 : -1;
    };
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
    const move = (from, [down, right]) => {
        const grid = rows();
        let y = grid.findIndex((row) => row.includes(from));
        let x = grid[y].indexOf(from);
        do {
            y += down;
            x += right;
        } while (grid[y] && x >= 0 && x < grid[y].length && !grid[y][x]);
        const to = grid[y]?.[x];
        if (!to) return;
        from.tabIndex = -1;
        to.tabIndex = 0;
        to.focus();
        to.scrollIntoView({ block: "nearest", inline: "nearest" });
    };

    document.addEventListener("keydown", (event) => {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        const link = event.target.closest?.(".map td a");
        if (link && steps[event.key]) {
            event.preventDefault();
            move(link, steps[event.key]);
        } else if (event.key === "Escape" && page && document.getElementById("panel-close")) {
            closePanel();
        }
    });
    oneTabStop();
    if (!page) return;

    document.addEventListener("click", (event) => {
        if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        const link = event.target.closest("#map-view a");
        const address = link && new URL(link.href);
        if (!address || address.origin !== location.origin || address.pathname !== page) return;
        event.preventDefault();
        if (link.id === "panel-close") closePanel();
        else if (link.id === "panel-share") share(link);
        else if (link.closest(".map td, .map-list li")) openCell(link);
        else goTo(link.href);
    });
    const share = async (link) => {
        try {
            await navigator.clipboard.writeText(link.href);
            link.textContent = "Link copied";
        } catch {
            location.assign(link.href);
        }
    };

    const submitted = (form) => {
        const wanted = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
        goTo(`${page}?${wanted}`);
    };
    document.addEventListener("change", (event) => event.target.form?.id === "map-form" && submitted(event.target.form));
    document.addEventListener("submit", (event) => {
        if (event.target.id !== "map-form") return;
        event.preventDefault();
        submitted(event.target);
    });
    window.addEventListener("popstate", () => goTo(location.href, false));
})();

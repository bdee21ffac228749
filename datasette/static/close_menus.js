// A click outside an open menu closes it. Text that a reader has opened stays open.
document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details:is(.nav-menu, .actions-menu-links)[open]")) {
        if (!menu.contains(event.target)) menu.open = false;
    }
});

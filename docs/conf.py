"""How Sphinx makes a site of these pages: `make docs`, or see scripts/run_all_checks. Warnings are errors."""

project = "evidence"
html_title = "evidence"
extensions = ["myst_parser"]
myst_heading_anchors = 3
highlight_language = "text"
nitpicky = True

html_theme = "furo"
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False

"""The Explore page, one module a tab: what a data set holds, and what is wrong with it.

Main functions: `overview.show_overview`, `gallery.show_gallery`, `average_faces.show_average_faces`,
`leakage.show_leakage`, `issues.show_issues`, `label_issues.show_label_issues`, `embedding_map.show_map`,
`export.show_export`. `findings.load_issues` and the rest of that module is what several tabs need.
"""

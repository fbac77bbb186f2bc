"""The Streamlit side: what the pages share and show. Nothing outside this room imports Streamlit.

`explore`, `train`, `evaluate` and `predict` hold the parts of these pages, one module a tab or an input.

Main functions: `page.start_page`, `page.show_errors`, `visit.load_current_dataset`, `models.load_classifier`,
`scanning.follow_scan`, `background_jobs.follow_job`, `picture_grid.show_grid`, `explore.overview.show_overview`,
`train.live.show_live`, `evaluate.choice.choose_evaluation`, `predict.result.show_picture`.
"""

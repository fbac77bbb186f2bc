"""The Streamlit side: what the pages share and show. Nothing outside this room imports Streamlit.

Main functions: `ui.start_page`, `ui.show_errors`, `scanning.follow_scan`, `background_jobs.follow_job`,
`explore.show_glance`, `evaluate.show_sentence`, `predict.show_prediction`, `run_panels.show_live`.
"""

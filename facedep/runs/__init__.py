"""A run is a folder: its settings, its progress, the model at its end. Also background jobs and bundles.

Main functions: `lifecycle.create_run`, `run_folder.read_run`, `run_folder.list_runs`, `progress.read_progress`,
`jobs.start_job`, `bundles.pack_run`, `bundles.unpack_run`.
"""

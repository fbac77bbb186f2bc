"""Where pictures come from, and what is known of them before any network sees them: the scan, the splits, the copies.

Main functions: `sources.load_dataset`, `scan.scan_dataset`, `splits.split_dataset`,
`duplicates.find_near_duplicate_groups`, `kaggle.download_dataset`, `sample_faces.draw_sample_face`,
`export.export_dataset`.
"""

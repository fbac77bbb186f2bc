"""From bytes to predictions, for one picture, many files or a whole data set; explanations and the map.

Main functions: `pipeline.predict_picture`, `batch.predict_pictures`, `prediction_cache.read_predictions`,
`dataset_predictions.compute_predictions`, `explain.compute_occlusion_map`, `embedding_map.compute_map`.
"""

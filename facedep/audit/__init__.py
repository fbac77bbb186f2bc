"""What is wrong with a data set: issues, near copies of a picture, average faces, pictures without a face.

Main functions: `quality.measure_quality`, `issues.find_issues`, `cleaning.choose_clean`, `cleaning.clean_scan`,
`shared_pictures.find_shared_pictures`, `neighbors.find_nearest_neighbors`, `average_faces.compute_average_faces`,
`face_check.check_faces`.
"""

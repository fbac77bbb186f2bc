"""The Predict page: pictures come in, predictions with their reasons come out, and nothing of them is stored.

Main functions: `inputs.choose_files`, `inputs.choose_example`, `inputs.take_snapshot`, `result.show_picture`,
`live.show_live`, `many.show_many`, `explanation.show_explanation`, `snapshots.show_forgetting`.

What brings TensorFlow is imported within functions: the page shows "the model is loading" first.
"""

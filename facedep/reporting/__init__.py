"""What is shown of results: charts (`plots/`), shared sentences, the HTML report and the model card.

Main functions: `report.build_report`, `model_card.render_model_card`, `sentences.describe_accuracy`.
"""

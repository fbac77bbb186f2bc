"""The Train page: settings above the button, a training while it goes on, and the list of models with their results.

Main functions: `settings.choose_settings`, `settings.check_pictures`, `live.show_live`, `results.show_results`,
`model_list.show_models`.
"""

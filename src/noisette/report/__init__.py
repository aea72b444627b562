"""Reports about models and runs: the explain page, plots, films, model cards, notebook views."""

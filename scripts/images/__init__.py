"""How the labs' images are made (`build`, with its `build_secrets`), kept and moved (`archive`), and pinned (`pin`)."""

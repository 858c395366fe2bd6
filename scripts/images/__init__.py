"""How the labs' images are made (`build`, with what it is `lent`), kept and moved (`archive`), and pinned (`pin`)."""

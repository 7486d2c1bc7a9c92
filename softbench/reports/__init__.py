"""One file a figure or table: render(records, folder). Never torch."""

"""One file a task: a data set or a generated problem that accuracy is measured on."""

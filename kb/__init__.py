"""The machinery of "Dropout, answered": read questions, compare outputs, keep evidence, feed the site."""

"""Steps cut out of notebooks: parameterised, and proved before they are written."""

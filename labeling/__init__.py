"""How people label representatives: on a page in a browser, or with other tools."""

"""The site acceptance test: how a model does on films whose findings are known."""

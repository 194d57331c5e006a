"""How a step is run: one module a stage reads params and inputs, calls fewlabel, writes outputs."""

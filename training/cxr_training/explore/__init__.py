"""The look at a data set before modelling, behind `cxr-edge explore`."""

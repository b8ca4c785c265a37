"""The chapters of the report, one file each; every one takes Facts and gives Markup, whatever is missing."""

"""Print the table of gan_demo/RECIPES.md."""

from gan_demo.recipes import markdown

print(markdown(), end="")

"""`python3 -m gan_demo`: install what the app needs, then run app.py with the options given."""

import sys

from gan_demo import install

if __name__ == "__main__":
    sys.exit(install.run(install.python_with("requirements.txt"), "app.py", *sys.argv[1:]))

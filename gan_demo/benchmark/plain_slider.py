"""The plain way to show a training in Gradio: a slider, and an image that is made anew wherever it stops.

A program of its own, for the section `slider`: `python -m gan_demo.benchmark.plain_slider --runs FOLDER --port N`. The
same player makes the pictures, so that what differs is the design alone.
"""

import argparse

import gradio as gr
import numpy as np
import torch

from gan_demo import film, open_run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", required=True)
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)  # as app.py
    player = open_run(options.runs)

    def show(index: int, seed: int) -> np.ndarray:
        tiles = player.generate([int(seed) + tile for tile in range(film.TILES)], step=player.steps[int(index)])
        return film.grid(tiles, 4).squeeze()

    with gr.Blocks() as page:
        seed = gr.Number(0, label="Seed")
        slider = gr.Slider(0, len(player.steps) - 1, 0, step=1, label="Step", elem_id="step")
        image = gr.Image(elem_id="image")
        slider.input(show, [slider, seed], image, api_name="show")
    page.launch(server_name="127.0.0.1", server_port=options.port)


if __name__ == "__main__":
    main()

"""The look: a calm page with fonts that ship inside Gradio, so that nothing is fetched from outside."""

import gradio as gr
from gradio.themes.utils.fonts import LocalFont

SLATE = gr.themes.Color(
    "#f8f9fb", "#f1f3f7", "#e3e7ee", "#cbd2dd", "#97a1b2", "#667085",
    "#4a5364", "#363d4b", "#20252f", "#14181f", "#0c0f14",
)  # fmt: skip
BLUE = gr.themes.Color(
    "#eef6fc", "#d9ebf8", "#b5d8f1", "#82bde6", "#4a9fd8", "#1f83c4",
    "#0072b2", "#005a8e", "#00466e", "#003350", "#002236",
)  # fmt: skip


def theme() -> gr.themes.Base:
    """IBM Plex Sans on slate, Okabe and Ito's blue as the only accent."""
    return gr.themes.Base(
        primary_hue=BLUE,
        neutral_hue=SLATE,
        font=[LocalFont("IBM Plex Sans", weights=(400, 700)), "system-ui", "sans-serif"],
        font_mono=[LocalFont("IBM Plex Mono", weights=(400,)), "ui-monospace", "monospace"],
        radius_size=gr.themes.sizes.radius_lg,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary_dark="*neutral_950",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        body_text_color="*neutral_900",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_dark="*neutral_800",
    )

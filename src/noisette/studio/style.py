"""CSS and theme of the page: system fonts, hazelnut brown, no external resources."""

from gradio.themes import Base, Color

from ..report.viz.chart import STYLE

HAZELNUT = Color(
    name="hazelnut", c50="#faf6f1", c100="#f1e7da", c200="#e2cdb2", c300="#d0ad84", c400="#bd8d5c", c500="#8f5f33",
    c600="#7d5029", c700="#6a4325", c800="#573821", c900="#42291a", c950="#26160d",
)  # fmt: skip

CSS = (
    STYLE
    + """
:root { --faint: #57534e; --line: #d6d3d1; } .dark { --faint: #d6d3d1; --line: #44403c; }
html { scrollbar-gutter: stable; }
.gradio-container { width: 100%; max-width: 76rem !important; margin: 0 auto !important; }
.n-head { display: flex; flex-wrap: wrap; align-items: baseline; gap: .2rem 1rem; }
.n-head h1 { font-size: 1.5rem; font-weight: 650; margin: 0; }
.n-head p, .n-faint { color: var(--body-text-color-subdued); margin: 0; }
.n-status { min-height: 1.5rem; margin: 0; font-variant-numeric: tabular-nums; }
.n-tiles { list-style: none; display: flex; flex-wrap: wrap; gap: .8rem; margin: 0; padding: 0; }
.n-tiles li { margin: 0; } .n-tiles figure { margin: 0; }
.n-tiles figcaption { font-size: .8rem; color: var(--body-text-color-subdued); max-width: 10rem;
  overflow-wrap: anywhere; }
.n-canvas .n-tiles { min-height: 180px; }
img.n-pixels { image-rendering: pixelated; border-radius: 4px; max-width: 100%; margin: 0; display: block;
  background: repeating-conic-gradient(#fff 0 25%, #e1e3e6 0 50%) 0 0 / 20px 20px; }
.n-cell { border: 2px solid transparent; border-radius: 8px; padding: 4px; }
.n-kept { border-color: #2f855a; } .n-rejected img { opacity: .3; }
.n-coming { position: sticky; bottom: 0; z-index: 5; background: var(--body-background-fill); }
.n-buttons { display: flex; gap: 4px; margin-top: 4px; }
.n-cell button { flex: 1; margin: 0 !important; min-height: 2rem; padding: 0 .45rem;
  border-radius: 6px; cursor: pointer; font-size: .8rem;
  border: 1px solid var(--border-color-primary); background: var(--button-secondary-background-fill);
  color: var(--body-text-color); }
.n-cell button[aria-pressed="true"] { background: #22543d; border-color: #22543d; color: #fff; }
.n-rejected button[data-do="reject"] { background: #742a2a; border-color: #742a2a; color: #fff; }
.n-cell button:focus-visible { outline: 3px solid var(--color-accent); outline-offset: 1px; }
.n-small .n-cell { display: flex; flex-direction: column; gap: 4px; }
.tab-wrapper, .tab-container { height: auto !important; } .tab-container[role="tablist"] { flex-wrap: wrap; }
.tab-container.visually-hidden { display: none; }
.n-fold { width: 100%; text-align: left; padding: .6rem .9rem; border-radius: 8px; cursor: pointer; font: inherit;
  border: 1px solid var(--border-color-primary); background: var(--block-background-fill);
  color: var(--body-text-color); }
.n-fold::before { content: "▸"; display: inline-block; width: 1.2rem; }
.n-fold[aria-expanded="true"]::before { content: "▾"; }
.n-under:not(.n-open) { display: none !important; }
.n-fold:focus-visible, .n-brush :focus-visible, .n-folder:focus-within {
  outline: 3px solid var(--color-accent); outline-offset: 1px; }
.n-brush { display: flex; flex-wrap: wrap; gap: 1rem; } .n-brush[hidden] { display: none; }
.n-marking { flex: 1 1 14rem; display: none; } .n-marks .n-marking { display: block; }
.n-paper { position: relative; max-width: 100%; align-self: flex-start; border-radius: 4px; overflow: hidden;
  background: repeating-conic-gradient(#fff 0 25%, #e1e3e6 0 50%) 0 0 / 20px 20px; }
.n-paper canvas { display: block; width: 100%; image-rendering: pixelated; }
.n-marks canvas { touch-action: none; cursor: crosshair; }
.n-ring { position: absolute; border: 2px solid #111; outline: 1px solid #fff; pointer-events: none; }
.n-ring[hidden], .n-brush:not(.n-marks) .n-ring { display: none; }
.n-tools { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: center; }
.n-tools label { display: inline-flex; gap: .4rem; align-items: center; }
.n-tools button, .n-folder { min-height: 2rem; padding: 0 .7rem; border-radius: 6px; cursor: pointer;
  border: 1px solid var(--border-color-primary); background: var(--button-secondary-background-fill);
  color: var(--body-text-color); }
.n-film { image-rendering: pixelated; border-radius: 4px; max-width: 100%; margin: 0 0 1rem; display: block;
  background: repeating-conic-gradient(#fff 0 25%, #e1e3e6 0 50%) 0 0 / 20px 20px; }
.n-folder { display: inline-flex; align-items: center; position: relative; }
.n-folder input { position: absolute; width: 1px; height: 1px; opacity: 0; }
.n-growth { display: flex; gap: 1rem; overflow-x: auto; padding-bottom: .5rem; }
.n-growth figure { margin: 0; flex: none; }
.n-facts { border-collapse: collapse; border: 0 !important; }
.n-facts tr, .n-facts th, .n-facts td { border: 0 !important;
  padding: .2rem 1.2rem .2rem 0 !important; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.n-facts th { font-weight: 600; }
@media (max-width: 30rem) { .n-tiles { gap: .5rem; } .n-tiles li { width: calc(50% - .25rem); padding: 2px; }
  .n-tiles li:only-child { width: 100%; } .n-tiles img.n-pixels { width: 100%; height: auto; }
  .n-buttons { flex-wrap: wrap; } }
.dark { --color-accent: var(--primary-300); }
footer { display: none !important; }
"""
)


def theme() -> Base:
    """The Gradio theme."""
    base = Base(
        primary_hue=HAZELNUT, secondary_hue=HAZELNUT, neutral_hue="stone",
        font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace"),
    )  # fmt: skip
    return base.set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_hover_dark="*primary_700",
        button_primary_text_color="white",
        button_primary_text_color_dark="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
    )

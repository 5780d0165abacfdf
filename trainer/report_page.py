"""The page of report.html, a Jinja template; whatever goes into it is escaped."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Training report</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1120px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; }
td, th { padding: .15em .9em .15em 0; text-align: left; vertical-align: top; }
figure { display: inline-block; margin: 0 1em 1em 0; width: 512px; vertical-align: top; }
figcaption { overflow-wrap: anywhere; font-size: 13px; }
img { max-width: 100%; }
.note { color: #555; max-width: 50em; }
</style>
{% macro gallery(shown) %}
{% for one in shown %}
<figure><img src="data:image/jpeg;base64,{{ one.picture }}" alt="image and heat map">
<figcaption>{{ one.name }} · score {{ "%.2f"|format(one.score) }}</figcaption></figure>
{% endfor %}
{% endmacro %}
<h1>Training report</h1>
<p>{{ images.learned|length }} images to learn from, {{ images.held_out|length }} held out by content hash,
{{ images.skipped|length }} skipped. {{ step }} of at most {{ config.steps }} steps; the model is that of step {{ best_step }},
which had the lowest L2 on the held-out images.
{{ device }}, {{ ranks }} process{{ "es" if ranks > 1 }}, torch {{ torch_version }}.</p>
{% if images.skipped %}
<details><summary>Skipped files</summary><ul>{% for line in images.skipped %}<li>{{ line }}</li>{% endfor %}</ul></details>
{% endif %}
<h2>Losses</h2>
<img src="data:image/png;base64,{{ losses }}" alt="losses over steps">
<p class="note">L1 is in the scale of the start, where it is 1. It may rise while L2 falls, because update (ii) changes φ too.
L3 looks at ψ alone and at no image, so it has no held-out value.</p>
<h2>Scores</h2>
<img src="data:image/png;base64,{{ histogram }}" alt="histogram of scores">
<p class="note">A score here is L1 + L2, each the largest over positions, minus its mean and divided by its spread over
{{ "all images, because few are held out" if few_held_out else "the held-out images" }}. L1 is the distance of Z from the one
C of training. Calibration sets its own centres, weights and threshold: these scores are for looking, not the device's.
Held-out images that lie clearly to the right of the training images mean that the model learned its images by
heart: add images.</p>
<h2>The most unusual images learned from</h2>
<p class="note">An image here may be a defective part among the good ones.
Look at each; remove what does not belong, and train again.
The heat starts at what one position in twenty of the held-out images reaches; dark red is their highest score.</p>
{{ gallery(unusual) }}
<h2>Images held out, from the most unusual to the most usual</h2>
<p class="note">Bright spots are what the model would complain about. All of these are good parts.</p>
{{ gallery(held_out) }}
<h2>Options</h2>
<table>
{% for name, value in config.items() %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
</html>
"""

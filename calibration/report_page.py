"""The page of report.html, a Jinja template; whatever goes into it is escaped."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{ title }}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1120px; margin: 2em auto; padding: 0 1em; color: #222; }
table { border-collapse: collapse; }
td, th { padding: .15em .9em .15em 0; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; white-space: nowrap; }
figure { display: inline-block; margin: 0 1em 1em 0; width: 512px; max-width: 100%; vertical-align: top; }
figcaption { overflow-wrap: anywhere; font-size: 13px; }
img { max-width: 100%; }
.promise { font-size: 20px; border-left: 4px solid #4c8a57; padding-left: .7em; }
.warning { border-left: 4px solid #d9822b; padding-left: .7em; }
.note { color: #555; max-width: 52em; }
</style>
{% macro gallery(shown, more) %}
{% for one in shown %}
<figure>{% if one.picture %}<img src="data:image/jpeg;base64,{{ one.picture }}" alt="{{ one.name }} and its heat map">
{% else %}<em>the file can no longer be read</em>
{% endif %}
<figcaption>{{ one.name }} · {{ one.caption }}{% for reason in one.reasons %}<br>{{ reason }}{% endfor %}</figcaption></figure>
{% endfor %}
{% if more %}<p class="note">and {{ more }} more</p>{% endif %}
{% endmacro %}
<h1>{{ title }}</h1>
<p class="promise" id="promise">{{ promise }}.</p>
<p class="note">{{ promise_note }}</p>
{% for line in warnings %}
<p class="warning">{{ line }}</p>
{% endfor %}
<table id="facts">
{% for name, value in facts %}
<tr><th>{{ name }}</th><td>{{ value }}</td></tr>
{% endfor %}
</table>
<h2>Scores</h2>
<img src="data:image/png;base64,{{ histogram }}" alt="histograms of L1, L2 and L">
<p class="note">Of the images that set the threshold. A part is rejected where L is at or above it.
{% if folds %}Each was scored by statistics from the other images.{% endif %}</p>
<h2>Before and after</h2>
<p id="before-after">{{ before_after }}.</p>
<h2>Sessions</h2>
{% if sessions %}
<table id="sessions">
<tr><th>session</th><th class="n">images</th><th class="n">median score</th><th class="n">at or above the threshold</th>
<th class="n">above what the others would set</th><th class="n">chance of that</th><th></th></tr>
{% for one, median in sessions %}
<tr><td>{{ one.session or "(none)" }}</td><td class="n">{{ one.images }}</td><td class="n">{{ "%.4g"|format(median) }}</td>
<td class="n">{{ one.above }}</td><td class="n">{{ one.above_others }}</td><td class="n">{{ "%.2g"|format(one.chance) }}</td>
<td>{{ "shifted" if one.shifted }}</td></tr>
{% endfor %}
</table>
{% else %}
<p>All images that set the threshold are of one session. Folders in the folder would be sessions.</p>
{% endif %}
{% if checked %}
<h2>Checked images</h2>
<p class="note">They were judged at the threshold and tuned nothing. In a folder named good are good parts, in all others
defective ones.{% if checked_normal %} {{ checked_normal }} of them are among the images that calibrated: one of the
two folders is wrong about them.{% endif %}</p>
<table id="checked">
<tr><th>folder</th><th class="n">images</th><th class="n">rejected</th><th class="n">missed</th></tr>
{% for group, count, good in checked %}
<tr><td>{{ group }}</td><td class="n">{{ count.images }}</td><td class="n">{{ count.rejected }}</td>
<td class="n">{{ "good parts" if good else count.images - count.rejected }}</td></tr>
{% endfor %}
</table>
{% if pictures.wrong %}
<h3>Wrong verdicts</h3>
{{ gallery(pictures.wrong, pictures.more_wrong) }}
{% endif %}
{% endif %}
{% if pictures.suspects or pictures.dropped %}
<h2>Suspects</h2>
<p class="note">A bad part among the good ones raises the threshold. Look at each; remove what does not belong and calibrate
again, or give --drop-suspects.</p>
{{ gallery(pictures.suspects, pictures.more_suspects) }}
{% if pictures.dropped %}
<h3>Left out</h3>
{{ gallery(pictures.dropped, pictures.more_dropped) }}
{% endif %}
{% endif %}
<h2>The most unusual normal images</h2>
<p class="note">{{ "Besides the suspects: what" if pictures.suspects else "What" }} looks least like the others.
Right, the heat map: it begins at what one position in twenty of these pictures reaches, and is dark red where a position by
itself comes to the threshold. An image that had a part in C is shown by a C without it.</p>
{{ gallery(pictures.unusual, 0) }}
<h2>Image quality</h2>
<table id="quality">
<tr><th></th><th class="n">median</th><th class="n">1 %</th><th class="n">99 %</th><th>lowest</th><th>highest</th></tr>
{% for one in quality %}
<tr><th>{{ one.name }}</th><td class="n">{{ one.median }}</td><td class="n">{{ one.low }}</td><td class="n">{{ one.high }}</td>
<td>{{ one.lowest }}</td><td>{{ one.highest }}</td></tr>
{% endfor %}
</table>
<p class="note">Brightness: mean grey, 0 to 1. Saturation: the share of the pixels at 250 or above. Sharpness: mean squared
Laplacian, to be compared only with itself.</p>
{% if skipped %}
<details><summary>Skipped files ({{ skipped|length }})</summary>
<ul>{% for line in skipped %}<li>{{ line }}</li>{% endfor %}</ul></details>
{% endif %}
</html>
"""

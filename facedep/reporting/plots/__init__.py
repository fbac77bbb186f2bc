"""Every chart, by subject. Functions return Plotly figures; none computes or shows anything."""

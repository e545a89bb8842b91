{#- One sign rule everywhere: exporter minus importer, both FOB. A gap is there exactly when both sides are; the logarithm
    and the share, where the table has them, point the same way. -#}
{% test gap_is_exporter_minus_importer(
    model,
    exporter='exporter_fob_usd',
    importer='importer_fob_usd',
    gap='gap_fob_usd',
    log_ratio='gap_log_ratio',
    share_ratio=none
) %}
select
    {{ exporter }},
    {{ importer }},
    {{ gap }},
    {{ log_ratio }}
from {{ model }}
where
    ({{ exporter }} is not null and {{ importer }} is not null) <> ({{ gap }} is not null)
    or abs({{ gap }} - ({{ exporter }} - {{ importer }})) > 1e-6 * greatest(abs({{ exporter }}), abs({{ importer }}), 1)
    or ({{ log_ratio }} is not null and {{ gap }} is null)
    or {{ log_ratio }} * {{ gap }} < 0
    {% if share_ratio -%}
    or ({{ share_ratio }} is not null and {{ gap }} is null)
    or {{ share_ratio }} * {{ gap }} < 0
    or abs({{ share_ratio }}) > 1
    {%- endif %}
{% endtest %}

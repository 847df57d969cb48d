"""What kind of program a user agent says it is.

A user agent says what it likes, so this is for boards and not for decisions: it tells the
crawlers that name themselves from what looks like a browser or an app.  The first kind
whose mark is in the text is taken; no mark needs a blank, so text as logged will do.
"""

from __future__ import annotations

import re

from cloudfront_ecs.normalize.values.plain import absent

KINDS = {
    "scanner": (
        "nikto sqlmap nmap masscan zgrab nuclei dirbuster gobuster feroxbuster dirsearch wpscan "
        "acunetix nessus openvas qualys whatweb wfuzz ffuf l9explore l9tcpid leakix censysinspect "
        "expanse internet-measurement shodan binaryedge projectdiscovery w3af arachni zmeu jndi:"
    ),
    "ai": (
        "gptbot chatgpt-user oai-searchbot claudebot claude-user claude-web anthropic-ai ccbot "
        "perplexity bytespider google-extended googleother meta-externalagent cohere-ai diffbot "
        "mistralai applebot-extended timpibot"
    ),
    "search": (
        "googlebot google-inspectiontool adsbot-google mediapartners-google storebot-google "
        "bingbot bingpreview adidxbot msnbot slurp duckduckbot baiduspider yandexbot yandeximages "
        "sogou seznambot petalbot qwant yeti/ naverbot applebot amazonbot mojeekbot exabot "
        "coccocbot archive.org_bot ia_archiver"
    ),
    "seo": (
        "ahrefsbot ahrefssiteaudit semrushbot siteauditbot mj12bot dotbot rogerbot blexbot "
        "dataforseobot serpstatbot screaming sistrix megaindex barkrowler seokicks"
    ),
    "social": (
        "facebookexternalhit facebookcatalog facebot twitterbot linkedinbot slackbot "
        "slack-imgproxy discordbot telegrambot whatsapp pinterestbot redditbot skypeuripreview "
        "embedly vkshare tumblr bluesky mastodon iframely"
    ),
    "monitor": (
        "pingdom uptimerobot statuscake site24x7 newrelicpinger datadogsynthetics gtmetrix "
        "better-uptime route53-health-check elb-healthchecker googlehc kube-probe zabbix nagios "
        "check_http blackbox-exporter catchpoint dynatracesynthetic hetrixtools checkly "
        "cloudwatchsynthetics lighthouse updown.io"
    ),
    "feed": "feedly feedfetcher feedburner newsblur inoreader feedbin tt-rss freshrss bazqux",
    "tool": (
        "curl/ wget/ python-requests python-urllib python-httpx aiohttp/ go-http-client "
        "apache-httpclient java/ libwww-perl guzzlehttp node-fetch axios/ undici ruby faraday "
        "httpie/ postmanruntime insomnia/ powershell restsharp scrapy aria2 headlesschrome "
        "phantomjs puppeteer playwright selenium k6/ jmeter apachebench aws-sdk boto3 aws-cli "
        "rclone/"
    ),
}
"""Marks of each kind, in the order in which they are tried."""

# Cubot makes telephones.
_OTHER = re.compile(r"(?<!cu)bot(?:[^a-z]|$)|crawl|spider|scrape|archiver|\+https?:")
_MARKS = {kind: marks.split() for kind, marks in KINDS.items()}


def bot_class(value: str) -> str:
    """Return the kind of a user agent as logged.

    ``empty`` where the viewer sent none, ``other`` for what calls itself a robot without
    being known here, ``none`` for the rest: browsers and apps.
    """
    if absent(value):
        return "empty"
    text = value.lower()
    for kind, marks in _MARKS.items():
        if any(mark in text for mark in marks):
            return kind
    return "other" if _OTHER.search(text) else "none"

//! The report: a table for people, or JSON.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use console::{Style, style};
use serde::Serialize;

use super::{
    args::Args,
    session::Session,
    verdict::{Evidence, Finding, Verdict},
};

/// How much people are shown of one rule's evidence, and of its answers. JSON has all of it.
const EVIDENCE: usize = 3;
const ANSWERS: usize = 3;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    method: String,
    url: String,
    duplicates: u16,
    rounds: u16,
    effects_url: Option<String>,
    /// The worst that was found: `violated`, `inconclusive` or `holds`.
    verdict: Verdict,
    /// All that were sent, with those that count effects.
    requests: u64,
    elapsed_ms: u64,
    /// Which bound ended the run, if one did.
    stopped_early: Option<String>,
    rules: Vec<Finding>,
}

impl Report {
    pub(crate) fn new(args: &Args, session: &Session, rules: Vec<Finding>) -> Self {
        let has = |verdict| rules.iter().any(|finding| finding.verdict == verdict);
        let verdict = if has(Verdict::Violated) {
            Verdict::Violated
        } else if has(Verdict::Inconclusive) {
            Verdict::Inconclusive
        } else {
            Verdict::Holds
        };
        let counter = session.effects.as_ref();
        Self {
            method: args.method.to_string(),
            url: session.client.target().url.clone(),
            duplicates: args.duplicates,
            rounds: args.rounds,
            effects_url: counter.map(|counter| counter.client.target().url.clone()),
            verdict,
            requests: session.budget.sent(),
            elapsed_ms: u64::try_from(session.budget.elapsed().as_millis()).unwrap_or(u64::MAX),
            stopped_early: session.budget.stopped().map(|stop| stop.to_string()),
            rules,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.verdict.is_alarming() {
            ExitCode::from(1)
        } else {
            ExitCode::SUCCESS
        }
    }

    /// To stdout. Who closes it early (`| head`) has read enough.
    pub(crate) fn print(&self, as_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let written = if as_json {
            serde_json::to_writer_pretty(&mut out, self)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            self.write(&mut out)
        };
        match written.and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{} {}", self.method, self.url)?;
        write!(
            out,
            "{} rounds of {} duplicates; ",
            self.rounds, self.duplicates
        )?;
        match &self.effects_url {
            Some(url) => writeln!(out, "effects counted at {url}\n")?,
            None => writeln!(
                out,
                "executions judged by the answers alone (--effects-url counts the real effects)\n"
            )?,
        }
        for finding in &self.rules {
            write_finding(out, finding)?;
        }
        writeln!(
            out,
            "\n{}; {} requests in {:.1} s",
            self.summary(),
            self.requests,
            // For people.
            std::time::Duration::from_millis(self.elapsed_ms).as_secs_f32()
        )?;
        if let Some(stop) = &self.stopped_early {
            writeln!(out, "stopped early: {stop}")?;
        }
        Ok(())
    }

    fn summary(&self) -> String {
        let verdicts = [
            Verdict::Violated,
            Verdict::Inconclusive,
            Verdict::Holds,
            Verdict::NotSeen,
            Verdict::Skipped,
        ];
        let counted = verdicts.iter().filter_map(|verdict| {
            let of = self
                .rules
                .iter()
                .filter(|finding| finding.verdict == *verdict);
            match of.count() {
                0 => None,
                count => Some(format!("{count} {}", look(*verdict).0)),
            }
        });
        counted.collect::<Vec<_>>().join(", ")
    }
}

fn look(verdict: Verdict) -> (&'static str, Style) {
    match verdict {
        Verdict::Holds => ("holds", Style::new().green()),
        Verdict::Violated => ("VIOLATED", Style::new().red().bold()),
        Verdict::Inconclusive => ("inconclusive", Style::new().yellow().bold()),
        Verdict::NotSeen => ("not seen", Style::new().yellow()),
        Verdict::Skipped => ("skipped", Style::new().dim()),
    }
}

fn write_finding(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let (word, look) = look(finding.verdict);
    let verdict = look.apply_to(format!("{word:<12}"));
    writeln!(
        out,
        "{verdict}  {:<23}  {}",
        finding.rule.name(),
        finding.detail
    )?;
    let shown = telling(&finding.evidence);
    for evidence in &shown {
        write_evidence(out, evidence)?;
    }
    match finding.evidence.len() - shown.len() {
        0 => Ok(()),
        more => writeln!(
            out,
            "      … and {more} more like this (--json has them all)"
        ),
    }
}

/// What went wrong in the same way under another key tells nothing new.
fn telling(evidence: &[Evidence]) -> Vec<&Evidence> {
    let mut shown: Vec<&Evidence> = Vec::new();
    for one in evidence {
        let is_new = shown.iter().all(|other| other.what != one.what);
        if is_new && shown.len() < EVIDENCE {
            shown.push(one);
        }
    }
    shown
}

fn write_evidence(out: &mut impl Write, evidence: &Evidence) -> io::Result<()> {
    match &evidence.key {
        Some(key) => writeln!(out, "      key {}: {}", style(key).bold(), evidence.what)?,
        None => writeln!(out, "      {}", evidence.what)?,
    }
    for answer in evidence.answers.iter().take(ANSWERS) {
        writeln!(out, "          {answer}")?;
    }
    Ok(())
}

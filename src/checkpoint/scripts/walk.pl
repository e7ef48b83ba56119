# Looks at all of a unit in one walk, and the next time only at directories that changed since.
#
# perl - TMP NUMBER KIND MASK HUGE GRACE STATE EXCLUDE THEIRS
#
# The unit is the current directory, and git knows its index; the user's index is THEIRS, if there
# is one. Writes into TMP what look.sh prints: changed, new, ignored, empty, shut, and `seen` in
# place of what find finds. Into `rules` goes `none` if nothing can be ignored; `same` if what is
# ignored of the indexes cannot have changed, `ours` if that is so of ours, and else `other`. Into
# `looked` goes `quick`, or why it was not, into `attributes` something if there are any, and into
# `hollow` what the index takes for repositories and is none. From `state` STATE is made when the index is in its
# place. Without STATE, or if it is of another index, of other rules, or in doubt, all is looked at;
# none is used or made if it is empty. Ends with 3 if it cannot be done this way, 4 if git refuses.
#
# A directory whose inode and times are as they were holds the names that it held: nobody can set
# the time of a change back. Where a clock may be too coarse to show it (GRACE seconds), or the file
# system is of a kind that may not keep it, it is read again.
#
# STATE is the checksum of its index, 20 bytes, and records of fields with a NUL after each and one
# more after the last: A, files that were to be put into the index; R, files that are not in it;
# K, what all depends on; F, the checksum of THEIRS; I, a file with ignore rules; O, what is to be looked at each time; D, a
# directory with its state, flags and names. A name has a letter in front: `f`, `l`, `d`, or `s` for
# what is none of these, and a capital if it is ignored.
use strict;
use warnings;
use Cwd ();
use Digest::SHA ();
use Fcntl ':mode';
use Time::HiRes ();

my ($tmp, $number, $kind, $mask, $huge, $grace, $old, $exclude, $theirs) = @ARGV;
my $work = $kind eq 'work';
my $now = Time::HiRes::time();
my $recent = int($now) - 2;
my $files = 0666 & ~oct $mask;
my $executables = 0777 & ~oct $mask;

sub slurp {
    my ($path) = @_;
    open(my $file, '<:raw', $path) or die "$path: $!\n";
    local $/;
    my $all = <$file>;
    return defined $all ? $all : '';
}

sub spill {
    my ($what, $all) = @_;
    open(my $file, '>:raw', "$tmp/$what.$number") or die "$what: $!\n";
    print $file $all or die "$what: $!\n";
    close $file or die "$what: $!\n";
}

# Returns the checksum that an index ends with, `-` if it has none.
sub checksum {
    my ($index) = @_;
    my $sum;
    open(my $file, '<:raw', $index) or return '-';
    return '-' unless seek($file, -20, 2) and read($file, $sum, 20) == 20;
    return $sum eq "\0" x 20 ? '-' : unpack 'H*', $sum;
}

# Runs a program and returns what it says.
sub said {
    open(my $pipe, '-|', @_) or die "$_[0]: $!\n";
    binmode $pipe;
    local $/;
    my $all = <$pipe>;
    close $pipe;
    return defined $all ? $all : '';
}

# Returns whether the file system is known to tell when a directory changed.
sub keeps_times {
    open(my $mounts, '<:raw', '/proc/self/mounts') or return 0;
    my $here = Cwd::getcwd() . '/';
    my ($longest, $type) = (-1, '');
    while (<$mounts>) {
        my (undef, $at, $name) = split / /;
        $at =~ s/\\([0-7]{3})/chr oct $1/ge;
        $at .= '/' unless $at =~ m|/\z|;
        ($longest, $type) = (length $at, $name)
            if length $at >= $longest and substr($here, 0, length $at) eq $at;
    }
    return $type =~ /\A(?:ext[234]|xfs|btrfs|f2fs|zfs|tmpfs|overlay|bcachefs)\z/;
}

my (%again, %looked, @new, @ignored, @empty, @shut, @seen, @records, @rules);
my ($device, $in_doubt, $is_theirs);
my $attributes = '';
my $sum_of_theirs = checksum($theirs);

sub show {
    my ($letter, $path, $state) = @_;
    push @seen, sprintf "%s %o %d %s\0", $letter, $state->[2] & 07777, $state->[7], $path;
}

# Sees to what git does not show of what is no directory, or is called `.git`.
sub notice {
    my ($path, $name, $state) = @_;
    return if $looked{$path}++;
    my $mode = $state->[2];
    my $is_git = $name =~ /\A\.git\z/i;
    my $is_recent = $state->[10] >= $recent;
    my $letter
        = S_ISREG($mode) ? '-'
        : S_ISDIR($mode) ? 'd'
        : S_ISLNK($mode) ? 'l'
        : S_ISFIFO($mode) ? 'p'
        : S_ISSOCK($mode) ? 's'
        : S_ISBLK($mode) ? 'b'
        : 'c';
    my $bits = $mode & 07777;
    my $is_odd
        = $letter eq '-' ? $is_git || $state->[7] > $huge || $bits != $files && $bits != $executables
        : $letter eq 'd' ? $is_git
        : $letter eq 'l' ? $is_git || $name =~ /\A\.gitmodules\z/i
        : 1;
    show($letter, $path, $state) if $is_odd;
    $again{$path} = 1 if $is_odd or $is_recent;
}

# Reads a directory. Returns its record, whose last field is a list of names with their letters, or
# nothing if it is not there any more: what names it does not say so then.
sub look_into {
    my ($path) = @_;
    my @state = Time::HiRes::lstat($path);
    die "$path: $!\n" unless @state or $!{ENOENT} or $!{ENOTDIR};
    if (!@state or !S_ISDIR($state[2])) {
        $in_doubt = 1;
        return;
    }
    my $below = $path eq '.' ? '' : "$path/";
    $device = $state[0] unless defined $device;
    my $flags = $state[10] >= $now - $grace || $state[0] != $device ? 'r' : '-';
    my $record = [$path, join(' ', @state[0, 1, 2, 4, 5, 9, 10]), $flags, []];
    my $is_odd = ($state[2] & 07777) != $executables;
    show('d', $path eq '.' ? '' : $path, \@state) if $path eq '.' or $is_odd;
    $record->[2] .= 'o' if $is_odd;
    my $dir;
    if (!opendir $dir, $path) {
        die "$path: $!\n" unless $!{EACCES} or $!{ENOENT} or $!{ENOTDIR};
        if (!$!{EACCES}) {
            $in_doubt = 1;
            return;
        }
        push @shut, $path;
        $record->[2] .= 's';
        return $record;
    }
    my @names = grep { $_ ne '.' && $_ ne '..' } readdir $dir;
    closedir $dir;
    if (!@names and $path ne '.') {
        push @empty, "$path\0";
        $record->[2] .= 'e';
    }
    my $is_inner = $work && $path ne '.' && grep { $_ eq '.git' } @names;
    $record->[2] .= 'g' if $is_inner;
    my $list = $record->[3];
    for my $name (@names) {
        next if $is_inner and $name ne '.git';
        my @state = lstat "$below$name";
        if (!@state) {
            die "$below$name: $!\n" unless $!{ENOENT};
            next;
        }
        my $mode = $state[2];
        $attributes = 'some' if $name eq '.gitattributes';
        my $is_git = ord $name == 46 && $name =~ /\A\.git(?:ignore|modules)?\z/i;
        if (S_ISREG($mode)) {
            push @$list, "f$name";
            my $bits = $mode & 07777;
            next if ($bits == $files || $bits == $executables) && $state[7] <= $huge
                && $state[10] < $recent && !$is_git;
        } elsif (S_ISDIR($mode)) {
            push @$list, "d$name";
            next unless $is_git;
        } else {
            push @$list, (S_ISLNK($mode) ? 'l' : 's') . $name;
        }
        notice("$below$name", $name, \@state) unless S_ISDIR($mode) and $name !~ /\A\.git\z/i;
        if ($work and $name eq '.gitignore') {
            my @state = Time::HiRes::lstat("$below$name") or die "it went away\n";
            # Some versions of git follow a link, some do not.
            $in_doubt = 1 unless S_ISREG($mode);
            push @rules, ["$below$name", join(' ', @state[0, 1, 2, 7, 9, 10])];
            $in_doubt = 1 if $state[10] >= $now - $grace;
        }
    }
    return $record;
}

my $has_above = 0;
my $outside = $work ? slurp($exclude) : '';

sub has_rules {
    return $work && (@rules || $has_above || $outside =~ /^[^#\s]/m);
}

# Says which of these paths are ignored.
sub ignored {
    my ($paths) = @_;
    return {} unless @$paths and has_rules();
    my $ask = "$tmp/ask$$.$number";
    spill("ask$$", join '', map {"./$_\0"} @$paths);
    my $all = said('sh', '-c',
        'exec git -c "core.excludesFile=$1" check-ignore -z --stdin --no-index <"$2"',
        'sh', $exclude, $ask);
    die "git check-ignore: $?\n" unless $? == 0 or $? == 256;
    return { map { (substr($_, 2), 1) } split /\0/, $all };
}

my (%known, %around, %links, @hollow);

# Returns whether there is a repository at this path.
sub is_repository {
    my ($path) = @_;
    my @state = lstat $path;
    return @state && S_ISDIR($state[2]) && defined +(lstat "$path/.git")[0];
}

my ($has_split, $half) = (1, 0);

# Leaves half of the directories to another process.
sub split_up {
    my ($dirs) = @_;
    $has_split = 1;
    my @theirs = splice @$dirs, @$dirs / 2;
    $half = fork;
    die "fork: $!\n" unless defined $half;
    return if $half;
    $half = -1;
    @$dirs = @theirs;
    # The other one keeps those, and they are of what is below as well.
    $has_above = @rules;
    @$_ = () for \(@new, @ignored, @empty, @shut, @seen, @records, @rules);
    %again = ();
}

# Writes what one half found, or reads it.
sub hand_over {
    spill('half', pack '(N/a*)*', join('', map {"$_\0"} @new), join('', @ignored),
        join('', @empty), join('', map {"$_\0"} @shut), join('', @seen), join('', written()),
        join('', map {"$_->[0]\0$_->[1]\0"} @rules), join("\0", keys %again), $in_doubt ? 1 : '',
        $attributes);
}

sub take_over {
    waitpid $half, 0;
    die "half of it failed\n" if $?;
    my ($new, $ignored, $empty, $shut, $seen, $records, $rules, $again, $doubt, $some)
        = unpack '(N/a*)*', slurp("$tmp/half.$number");
    push @new, split /\0/, $new;
    push @ignored, $ignored;
    push @empty, $empty;
    push @shut, split /\0/, $shut;
    push @seen, $seen;
    push @records, $records if length $records;
    my @pairs = split /\0/, $rules;
    while (my @pair = splice @pairs, 0, 2) { push @rules, [@pair] }
    $again{$_} = 1 for split /\0/, $again;
    $in_doubt = 1 if $doubt;
    $attributes = $some if $some;
}

# Returns the records of directories as they are kept.
sub written {
    return map { ref $_ ? join("\0", 'D', @$_[0 .. 2], @{ $_->[3] }) . "\0\0" : $_ } @records;
}

# Sorts names that nothing is known of, and looks into directories among them, level by level. What
# is to be sorted is a list of records and of the places in them.
sub sort_out {
    my (@places) = @_;
    while (@places) {
        my (@asked, @dirs);
        for my $place (@places) {
            my ($record, $at) = @$place;
            my $name = $record->[3][$at];
            my $letter = substr $name, 0, 1, '';
            next if $letter eq 's' or length $name == 4 and $name =~ /\A\.git\z/i;
            my $path = $record->[0] eq '.' ? $name : "$record->[0]/$name";
            if ($letter eq 'd' ? $around{$path} : $known{$path}) {
                push @dirs, $path if $letter eq 'd';
            } elsif ($letter eq 'd' and $links{$path}) {
                # What is in it is not of the unit around it.
                my $inner = look_into($path) or next;
                $in_doubt = 1 unless is_repository($path);
                push @records, [@$inner[0, 1], "$inner->[2]k", []];
            } else {
                push @asked, [$path, $letter, $place];
            }
        }
        my $ignored = ignored([map { $_->[0] } @asked]);
        for (@asked) {
            my ($path, $letter, $place) = @$_;
            if ($ignored->{$path}) {
                push @ignored, $letter eq 'd' ? "$path/\0" : "$path\0";
                $place->[0][3][$place->[1]] = ucfirst $place->[0][3][$place->[1]];
            } elsif ($letter eq 'd') {
                push @dirs, $path;
            } else {
                push @new, $path;
            }
        }
        @places = ();
        split_up(\@dirs) if !$has_split and @dirs >= 64;
        for my $path (@dirs) {
            my $record = look_into($path) or next;
            push @records, $record;
            push @places, map { [$record, $_] } 0 .. $#{ $record->[3] };
        }
    }
}

sub look_at_all {
    my $all = said('git', 'ls-files', '-s', '-z');
    die "git ls-files: $?\n" if $?;
    for my $entry (split /\0/, $all) {
        my $name = substr $entry, 1 + index $entry, "\t";
        if (substr($entry, 0, 6) eq '160000') {
            # What is where a repository was is as anything else.
            if (!is_repository($name)) {
                push @hollow, $name;
                next;
            }
            $links{$name} = 1;
        }
        $known{$name} = 1;
        my $above = $name;
        while ((my $at = rindex $above, '/') >= 0) {
            $above = substr $above, 0, $at;
            last if $around{$above}++;
        }
    }
    my $record = look_into('.') or die "it went away\n";
    push @records, $record;
    $has_split = 0;
    sort_out(map { [$record, $_] } 0 .. $#{ $record->[3] });
    if ($half == -1) {
        hand_over();
        exit 0;
    }
    take_over() if $half;
}

# Looks at a directory that changed. Dies if what changed may change the rest.
sub look_again {
    my ($path, $flags, $names, $gone, $tried) = @_;
    my $rules = @rules;
    my $record = look_into($path);
    if (!$record) {
        $gone->{$path} = 1;
        return;
    }
    my $was = $flags =~ /g/ ? 1 : 0;
    die "a repository came or went\n" if $flags =~ /k/ or $was != ($record->[2] =~ /g/ ? 1 : 0);
    my %old;
    for (@$names) {
        my $name = lcfirst(substr $_, 0, 1) . substr $_, 1;
        $old{$name} = $_;
    }
    my @places;
    for my $at (0 .. $#{ $record->[3] }) {
        my $name = $record->[3][$at];
        my $before = delete $old{$name};
        if (!defined $before) {
            die "a repository came or went\n" if $name =~ /\A.\.git\z/i;
            die "other rules\n" if $work and $name =~ /\A.\.gitignore\z/;
            push @places, [$record, $at];
            next;
        }
        next if $name =~ /\A.\.git\z/i or $was;
        my $below = ($path eq '.' ? '' : "$path/") . substr $name, 1;
        $record->[3][$at] = $before;
        if ($before ne $name) {
            push @ignored, $name =~ /\Ad/ ? "$below/\0" : "$below\0";
        } elsif ($tried->{$below}) {
            # It may have gone just when it was to be put into the index, and come again.
            push @new, $below;
        }
    }
    for (keys %old) {
        die "a repository came or went\n" if /\A.\.git\z/i;
        die "other rules\n" if $work and /\A.\.gitignore\z/;
        $gone->{ ($path eq '.' ? '' : "$path/") . substr $_, 1 } = 1 if /\Ad/;
    }
    # Those of a directory that is known are known as well.
    splice @rules, $rules;
    push @records, $record;
    sort_out(@places);
}

sub is_below {
    my ($path, $gone) = @_;
    return 0 unless %$gone;
    while (1) {
        return 1 if $gone->{$path};
        my $at = rindex $path, '/';
        return 0 if $at < 0;
        $path = substr $path, 0, $at;
    }
}

# Tells whether no link leads to a path: every directory above it is one. What is known of
# directories is not asked again.
sub is_straight {
    my ($path, $known) = @_;
    my $at = rindex $path, '/';
    return 1 if $at < 0;
    my $dir = substr $path, 0, $at;
    if (!defined $known->{$dir}) {
        my @state = is_straight($dir, $known) ? Time::HiRes::lstat($dir) : ();
        $known->{$dir} = @state && S_ISDIR($state[2]) ? 1 : 0;
    }
    return $known->{$dir};
}

# Looks at what changed since the last time. Dies if that may not be enough.
sub look_at_changes {
    my ($key, $index) = @_;
    open(my $in, '<:raw', $old) or die "nothing is known\n";
    read($in, my $sum, 20) == 20 or die "cut off\n";
    die "another index\n" if unpack('H*', $sum) ne checksum($index);
    my (%tried, @rest, %gone, @often);
    my $is_whole = 0;
    local $/ = "\0\0";
    while (my $line = <$in>) {
        my $letter = substr $line, 0, 1;
        if ($letter eq 'D') {
            my $end = index $line, "\0", 2;
            my $path = substr $line, 2, $end - 2;
            my $next = index $line, "\0", $end + 1;
            my @state = Time::HiRes::lstat($path);
            $device = $state[0] if @state and !defined $device;
            my $state = @state ? join ' ', @state[0, 1, 2, 4, 5, 9, 10] : '';
            my $flags = substr $line, $next + 1, index($line, "\0", $next + 1) - $next - 1;
            if (%gone and is_below($path, \%gone)) {
                die "a repository came or went\n" if $flags =~ /k/;
                next;
            }
            if ($flags !~ /\A-[oegk]*\z/ or $state ne substr $line, $end + 1, $next - $end - 1) {
                my (undef, undef, undef, undef, @names) = split /\0/, $line;
                look_again($path, $flags, \@names, \%gone, \%tried);
                next;
            }
            push @records, $line;
            show('d', $path eq '.' ? '' : $path, \@state) if $path eq '.' or $flags =~ /o/;
            push @empty, "$path\0" if $flags =~ /e/;
            next unless $line =~ /\0[FLD]/;
            my (undef, undef, undef, undef, @names) = split /\0/, $line;
            my $below = $path eq '.' ? '' : "$path/";
            for (grep {/\A[FLD]/} @names) {
                push @ignored, $below . substr($_, 1) . (/\AD/ ? "/\0" : "\0");
            }
            next;
        }
        chomp $line;
        my ($what, $first, $second) = split /\0/, $line;
        if ($what eq 'A') {
            $tried{$first} = 1;
            push @often, $first;
        } elsif ($what eq 'R') {
            push @rest, $first;
        } elsif ($what eq 'K') {
            die "other rules\n" if $first ne $key;
        } elsif ($what eq 'F') {
            $is_theirs = $first ne '-' && $first eq $sum_of_theirs;
        } elsif ($what eq 'I') {
            my @state = Time::HiRes::lstat($first);
            die "other rules\n" if !@state or $second ne join ' ', @state[0, 1, 2, 7, 9, 10];
            push @rules, [$first, $second];
        } elsif ($what eq 'O') {
            push @often, $first;
        } elsif ($what eq 'E') {
            $is_whole = 1;
        }
    }
    die "cut off\n" unless $is_whole and @records;
    my %straight;
    @often = grep { !is_below($_, \%gone) and is_straight($_, \%straight) } @often;
    @rest = grep { !is_below($_, \%gone) and is_straight($_, \%straight) } @rest;
    for my $path (@often) {
        next if $looked{$path};
        my @state = Time::HiRes::lstat($path) or next;
        next if S_ISDIR($state[2]) and $path !~ m{(?:\A|/)\.git\z}i;
        notice($path, $path =~ m{([^/]*)\z}, \@state);
    }
    my %is_new = map { ($_, 1) } @new;
    for my $path (@rest) {
        my @state = Time::HiRes::lstat($path) or next;
        next unless S_ISREG($state[2]) or S_ISLNK($state[2]);
        notice($path, $path =~ m{([^/]*)\z}, \@state);
        push @new, $path unless $is_new{$path}++;
    }
}

# What git knows is looked at side by side with the walk.
my $git = fork;
die "fork: $!\n" unless defined $git;
if (!$git) {
    open(STDOUT, '>', "$tmp/changed.$number") or exit 127;
    exec 'git', 'diff-files', '-z', '--raw', '--no-abbrev', '--ignore-submodules=all' or exit 127;
}
my $done = eval {
    my $keeps = $old ne '' && keeps_times();
    my $key = join ' ', Digest::SHA::sha1_hex($outside), $kind, $mask, $huge,
        Digest::SHA::sha1_hex(Cwd::getcwd());
    my $quick = $keeps && eval { look_at_changes($key, $ENV{GIT_INDEX_FILE}); 1 };
    if (!$quick) {
        (%again, %looked) = ();
        @$_ = () for \(@new, @ignored, @empty, @shut, @seen, @records, @rules);
        ($device, $in_doubt) = ();
        look_at_all();
    }
    spill('looked', $quick ? 'quick' : $@ || 'nothing is kept');
    spill('attributes', $attributes) unless $quick;
    spill('hollow', join '', map {"$_\0"} @hollow);
    spill('rules', !has_rules() ? 'none' : !$quick ? 'other' : $is_theirs ? 'same' : 'ours');
    waitpid $git, 0;
    exit 4 if $?;
    $git = 0;
    my @changed = split /\0/, slurp("$tmp/changed.$number");
    while (my ($head, $path) = splice @changed, 0, 2) {
        next if $head =~ /D\z/;
        my @state = Time::HiRes::lstat($path) or next;
        notice($path, $path =~ m{([^/]*)\z}, \@state) unless S_ISDIR($state[2]);
        $again{$path} = 1;
    }
    $again{$_} = 1 for @new;
    spill('new', join '', map {"$_\0"} @new);
    spill('ignored', join '', @ignored);
    spill('empty', join '', @empty);
    spill('shut', join '', map {"warning: could not open directory '$_/': \n"} @shut);
    spill('seen', join '', @seen);
    if ($keeps and !$in_doubt) {
        spill('state', join '', "K\0$key\0\0F\0$sum_of_theirs\0\0", (map {"I\0$_->[0]\0$_->[1]\0\0"} @rules),
            (map {"O\0$_\0\0"} sort keys %again),
            written(), "E\0\0");
    }
    1;
};
exit 3 if $half == -1;
if ($git) {
    kill 'KILL', $git;
    waitpid $git, 0;
}
exit 0 if $done;
print STDERR $@;
exit 3;

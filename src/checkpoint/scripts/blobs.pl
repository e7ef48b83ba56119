# Makes blobs of many files at once: git alone writes a file for each of them, one after the other.
#
# perl - write PART PARTS LIST WHAT   files named in LIST (a NUL after each) as a stream for
#                                     `git fast-import`; what they were like goes to WHAT
# perl - index WHAT MARKS …           entries for `git update-index --index-info`, from both
# perl - trees                        a stream for `git fast-import` that makes the trees of the
#                                     entries of an index on its input
# perl - stat INDEX WHAT …            fills in when and what they were, so that git need not read
#                                     them again
use strict;
use warnings;
use Fcntl;
binmode STDOUT;
my $job = shift;

sub slurp {
    my ($path) = @_;
    open(my $file, '<:raw', $path) or die "$path: $!\n";
    local $/;
    my $all = <$file>;
    return defined $all ? $all : '';
}

# Records of WHAT: mark, git's mode, seven numbers of its state, path.
sub records {
    return map { [split / /, $_, 10] } split /\0/, slurp($_[0]);
}

if ($job eq 'write') {
    my ($part, $parts, $list, $what) = @ARGV;
    open(my $out, '>:raw', $what) or die "$what: $!\n";
    my ($number, $mark) = (0, 0);
    for my $path (split /\0/, slurp($list)) {
        next if $number++ % $parts != $part;
        my @state = lstat $path or next;
        my ($mode, $content) = ('', '');
        if (-l _) {
            $content = readlink $path;
            next unless defined $content;
            $mode = '120000';
        } elsif (-f _) {
            $mode = $state[2] & 0100 ? '100755' : '100644';
            sysopen(my $file, $path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) or die "closed\n";
            my $read;
            while ($read = sysread($file, $content, 1 << 20, length $content)) { }
            defined $read or die "closed\n";
        } else {
            die "closed\n";
        }
        $mark++;
        print "blob\nmark :$mark\ndata ", length $content, "\n", $content, "\n" or die "$!\n";
        # What was read is not what was looked at if they differ; git reads it again then.
        $state[7] = 0 if $state[7] != length $content;
        my @numbers = map { $_ & 0xffffffff } @state[10, 9, 0, 1, 4, 5, 7];
        print $out join(' ', $mark, $mode, @numbers, $path), "\0" or die "$!\n";
    }
    print "done\n" or die "$!\n";
    close $out or die "$!\n";
} elsif ($job eq 'index') {
    while (my ($what, $marks) = splice @ARGV, 0, 2) {
        my %blobs = map { /^:(\d+) ([0-9a-f]+)/ ? ($1, $2) : () } split /\n/, slurp($marks);
        for (records($what)) {
            my $blob = $blobs{ $_->[0] } or die "a blob is missing\n";
            print "$_->[1] $blob\t$_->[9]\0" or die "$!\n";
        }
    }
} elsif ($job eq 'trees') {
    # What has to be on a branch is on none in the end.
    print "commit refs/trees\ncommitter P <p> 0 +0000\ndata 0\n" or die "$!\n";
    binmode STDIN;
    local $/ = "\0";
    while (my $entry = <STDIN>) {
        chomp $entry;
        my ($mode, $blob, $stage, $path) = $entry =~ /\A(\d+) ([0-9a-f]+) (\d)\t(.+)\z/s
            or die "no entry\n";
        die "a conflict\n" if $stage;
        $path =~ s/([\\"\x00-\x1f\x7f])/sprintf '\\%03o', ord $1/ge;
        print qq{M $mode $blob "$path"\n} or die "$!\n";
    }
    print "\nreset refs/trees\nfrom ", '0' x 40, "\n\ndone\n" or die "$!\n";
} else {
    my ($index, @whats) = @ARGV;
    require Digest::SHA;
    my %states = map { ($_->[9], $_) } map { records($_) } @whats;
    my $bytes = slurp($index);
    my ($magic, $version, $count) = unpack 'a4 N N', $bytes;
    exit 0 unless $magic eq 'DIRC' and $version == 2 || $version == 3;
    my $at = 12;
    for (1 .. $count) {
        my $flags = unpack 'n', substr($bytes, $at + 60, 2);
        my $head = 62 + ($flags & 0x4000 ? 2 : 0);
        my $end = index $bytes, "\0", $at + $head;
        my $state = $states{ substr $bytes, $at + $head, $end - $at - $head };
        if ($state and unpack('N', substr $bytes, $at + 8, 4) == 0) {
            my ($changed, $written, $device, $inode, $user, $group, $size) = @$state[2 .. 8];
            substr $bytes, $at, 24, pack('N6', $changed, 0, $written, 0, $device, $inode);
            substr $bytes, $at + 28, 12, pack('N3', $user, $group, $size);
        }
        $at += ($end - $at + 8) & ~7;
    }
    substr $bytes, -20, 20, Digest::SHA::sha1(substr $bytes, 0, -20);
    open(my $file, '>:raw', "$index.new") or die "$!\n";
    print $file $bytes or die "$!\n";
    close $file or die "$!\n";
    rename "$index.new", $index or die "$!\n";
}
